"""What is deployed: settings, stacks and constructs, synthesised to Terraform.

Pure: no network, no clock, and settings are read from the environment in `settings` alone
(`fast_provider` completes the variables with which JSII starts Node.js).
"""

from infra import fast_provider

# Here, because it must come before the first import of a binding, whichever module that is in.
fast_provider.prepare()
