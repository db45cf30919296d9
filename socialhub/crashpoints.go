//go:build crashpoints

package socialhub

import (
	"net/http"

	"socialhub-sync/torture/crashpoint"
)

func instrument(t http.RoundTripper) http.RoundTripper { return crashpoint.Transport(t) }
