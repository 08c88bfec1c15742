module bakery.tools/packer-plugin-vsphere

go 1.24

require github.com/hashicorp/packer-plugin-vsphere v1.4.2

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
