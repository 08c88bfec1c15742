"""The vsphere stack: content libraries, and the publisher's role."""
