module bakery.tools/packer-plugin-qemu

go 1.24

require github.com/hashicorp/packer-plugin-qemu v1.0.9

replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
