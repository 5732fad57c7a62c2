"""Single AWS resources, as the constructs make them: each with its grants and metrics.

account, state_backend, outputs; key, policy, role; queue, bucket; code, function; metrics.
"""

from infra import fast_provider

# Before the first import of a binding.
fast_provider.prepare()
