"""The reviewed policy file `goldcopy.toml` and the secrets it refers to."""
