module bakery.tools/packer-plugin-ansible

go 1.24

require github.com/hashicorp/packer-plugin-ansible v1.1.2

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
