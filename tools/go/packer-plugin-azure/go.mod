module bakery.tools/packer-plugin-azure

go 1.24

require github.com/hashicorp/packer-plugin-azure v1.4.5

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
