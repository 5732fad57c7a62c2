"""What is deployed: settings, stacks, constructs and resources, synthesised to Terraform.

Pure: no network, no clock. Only `settings` reads the process environment, and `fast_provider`, which
completes the variables with which JSII starts Node.js. It writes the Terraform and, in `bindings`, a copy of
the CDKTF bindings. `names`, `policy` and `settings` load
without the bindings.
"""
