// Starts the vCenter stand-in: govmomi's simulator behind a strict layer. README.md says what it enforces.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/simulator"

	_ "github.com/vmware/govmomi/vapi/simulator" // registers its endpoints
)

func main() {
	user := flag.String("user", "bakery@vsphere.local", "the one login")
	password := flag.String("password", "vcenter", "its password")
	library := flag.String("library", "images", "content library to begin with")
	guest := flag.String("guest", "", "IP that every running machine reports")
	folder := flag.String("folder", "", "gets ca.pem")
	flag.Parse()

	authority := filepath.Join(*folder, "ca.pem")
	model := simulator.VPX() // always the same inventory: DC0, DC0_C0, LocalDS_0, VM Network, DC0_C0_RP0_VM0, …
	must(model.Create())
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{newCertificate(authority)}}
	model.Service.RegisterEndpoints = true
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, *password)}
	server := model.Service.NewServer()

	strict := newStrict(server.Config.Handler)
	strict.machines = func() []machine { return machines(model) }
	server.Config.Handler = strict
	strict.login(*user, *password)
	strict.createLibrary(*library, model.Map().Any("Datastore").Reference().Value)
	if *guest != "" {
		go reportGuests(model, *guest)
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string]string{"server": server.URL.Host, "ca": authority}))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test that started it is gone, however it ended
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
