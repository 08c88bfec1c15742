module bakery.tools/packer

go 1.24

require github.com/hashicorp/packer v1.11.2

// The replacement that packer's own go.mod makes; `go build` heeds only the main module's.
replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
