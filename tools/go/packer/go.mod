module bakery.tools/packer

go 1.26.3

require github.com/hashicorp/packer v1.16.0

// The replacement that packer's own go.mod makes; `go build` heeds only the main module's.
replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3
