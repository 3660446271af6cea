"""The commands of the command line: parse, call, print. Heavy packages are imported inside them."""
