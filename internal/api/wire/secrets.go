package wire

import (
	"github.com/ringfence/ringfence/internal/secrecy"
	"github.com/ringfence/ringfence/internal/secret"
)

// SecretValue asks to make a value the current one. It has no limits here, as an error of these would repeat it.
type SecretValue struct {
	Value string `json:"value" doc:"the value, 1 to 16384 bytes"`
}

// Secrets are all secrets, without values.
type Secrets struct {
	Items []secret.Secret `json:"items"`
}

// InstanceSecretsRequest asks for the secrets of an instance.
type InstanceSecretsRequest struct {
	Service  string `json:"service" maxLength:"63" doc:"the service that it is of"`
	Version  string `json:"version" maxLength:"200" doc:"its version"`
	Instance string `json:"instance" maxLength:"200" doc:"its name, as service/version/number"`
}

// InstanceSecrets are the secrets that a service declares.
type InstanceSecrets struct {
	Values map[string][]secrecy.Value `json:"values" doc:"by name, the newest version first"`
}
