"""Single AWS resources, as the constructs make them, each with its grants and metrics.

base: what all of them share; account, state_backend, outputs: of a stack; key, role: rights;
suppression: what a check may fail; queue, bucket: storage; code, function: Lambda; cloud_control: schemas
for what the provider lacks; metrics
"""

from infra import fast_provider

# Before the first import of a binding.
fast_provider.prepare()
