"""Ways of building probe structures, one file each."""
