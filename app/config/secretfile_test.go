package config

import (
	"os"
	"path/filepath"
	"testing"

	"socialhub-sync/sources/builtin"
	"socialhub-sync/sources/imap"
)

func TestThePasswordForSendingMailsMayLieInAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = `
channels:
  support: {access_token: "${TOKEN}"}
sources:
  mails:
    adapter: imap
    channel: support
    schedule: "@every 5m"
    settings:
      server: imap.example.com
      username: support@example.com
      password: another
      smtp: {host: smtp.example.com, from: support@example.com, password_file: password}
`
	c, err := Parse("config.yaml", []byte(text), dir, builtin.Adapters(), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Sources[0].Settings.(*imap.Settings).SMTP.Password.Reveal(); got != "hunter2" {
		t.Errorf("the password has %d characters", len(got))
	}
}
