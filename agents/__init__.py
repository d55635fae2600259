"""Search methods, one file each; see `archgym.agent`."""
