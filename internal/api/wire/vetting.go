package wire

import (
	"github.com/ringfence/ringfence/internal/sbom"
	"github.com/ringfence/ringfence/internal/vetting"
)

// Attestation asks to add a bundle to the evidence of an artifact.
type Attestation struct {
	Bundle string `json:"bundle" pattern:"^sha256:[0-9a-f]{64}$" doc:"sha256:… of the bundle, put before like an artifact"`
}

// Attestations are the evidence of an artifact.
type Attestations struct {
	Items []vetting.Bundle `json:"items"`
}

// Components are what an artifact is made of.
type Components struct {
	Total int              `json:"total" doc:"how many there are that match"`
	Items []sbom.Component `json:"items" doc:"the first 1000 of them"`
}

// VulnerabilityImport asks to use a database of vulnerabilities.
type VulnerabilityImport struct {
	Digest string `json:"digest" pattern:"^sha256:[0-9a-f]{64}$" doc:"sha256:… of the zip file, put before like an artifact"`
}
