module bakery.tools/vault

go 1.25.3

require github.com/hashicorp/vault v1.21.1

// The replacements that vault's own go.mod makes, as far as they are published: `go build` heeds only the main module's.
replace (
	github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
	github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.20.0
)
