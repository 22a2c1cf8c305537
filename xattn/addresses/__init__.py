"""Addresses such as `s3://bucket/images`: worked on in a scratch folder, as if they were local.

An address becomes a path below the scratch folder at the doors where paths enter (`as_path`, and
the options of the command line). Files there are placeholders until Python opens them, and what is
written there goes up as it is committed. Nothing here is imported, and no connection opened, before
an address is named.
"""
