// Writes a small vulnerability database in grype's own format, for tests.
//
// Standard input is JSON: when the database was built, and for each vulnerability the Debian source package that has
// it. The folder then looks like grype's mirror: an archive and latest.json, and beside them the database itself.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gorm.io/gorm"

	v6 "github.com/anchore/grype/grype/db/v6"
	archive "github.com/anchore/grype/grype/db/v6/build"
	"github.com/anchore/syft/syft/pkg"
)

type entry struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Source   string `json:"source"`
	Release  string `json:"release"` // of Debian, such as 12
	Fixed    string `json:"fixed"`   // the first version without it; empty where there is none
}

type document struct {
	Built   time.Time `json:"built"`
	Entries []entry   `json:"entries"`
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: database FOLDER <entries.json"))
	}
	var input document
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fail(err)
	}
	if err := write(os.Args[1], input); err != nil {
		fail(err)
	}
}

func write(folder string, input document) error {
	store, err := v6.NewWriter(v6.Config{DBDirPath: folder, CacheSizeKiB: 1024})
	if err != nil {
		return err
	}
	built := input.Built.UTC().Round(time.Second)
	provider := &v6.Provider{ID: "debian", Version: "1", Processor: "tests", DateCaptured: &built, InputDigest: "xxh64:0"}
	for _, one := range input.Entries {
		vulnerability := vulnerabilityOf(one, provider)
		if err := store.AddVulnerabilities(vulnerability); err != nil {
			return err
		}
		if err := store.AddAffectedPackages(affectedPackageOf(one, vulnerability, built)); err != nil {
			return err
		}
	}
	// The writer takes the time of its own start.
	database := store.(interface{ GetDB() *gorm.DB }).GetDB()
	if err := database.Model(&v6.DBMetadata{}).Where("true").Update("build_timestamp", built).Error; err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	return archive.CreateArchive(absolute, "tar.gz", nil)
}

func vulnerabilityOf(one entry, provider *v6.Provider) *v6.VulnerabilityHandle {
	severity := v6.Severity{Scheme: v6.SeveritySchemeCHMLN, Value: one.Severity, Rank: 1}
	return &v6.VulnerabilityHandle{
		Name:      one.ID,
		Status:    v6.VulnerabilityActive,
		Provider:  provider,
		BlobValue: &v6.VulnerabilityBlob{ID: one.ID, Severities: []v6.Severity{severity}},
	}
}

func affectedPackageOf(one entry, vulnerability *v6.VulnerabilityHandle, built time.Time) *v6.AffectedPackageHandle {
	affected := v6.Range{Version: v6.Version{Type: "dpkg"}, Fix: &v6.Fix{State: v6.NotFixedStatus}}
	if one.Fixed != "" {
		available := &v6.FixAvailability{Date: &built, Kind: "advisory"}
		affected.Version.Constraint = "< " + one.Fixed
		affected.Fix = &v6.Fix{Version: one.Fixed, State: v6.FixedStatus, Detail: &v6.FixDetail{Available: available}}
	}
	return &v6.AffectedPackageHandle{
		Vulnerability:   vulnerability,
		OperatingSystem: &v6.OperatingSystem{Name: "debian", ReleaseID: "debian", MajorVersion: one.Release},
		Package:         &v6.Package{Ecosystem: string(pkg.DebPkg), Name: one.Source},
		BlobValue:       &v6.PackageBlob{CVEs: []string{one.ID}, Ranges: []v6.Range{affected}},
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
