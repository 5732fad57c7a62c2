"""What is deployed: settings, stacks and constructs, synthesised to Terraform.

Pure: no network, no clock, and the process environment is read in `settings` alone.
"""

from infra import fast_provider

# Here, because it must come before the first import of a binding, whichever module that is in.
fast_provider.prepare()
