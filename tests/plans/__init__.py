"""Plans that Terraform really made of variants of `dev`: what each changes, and the files of test data."""
