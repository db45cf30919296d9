package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/sources"
)

// MinPassword is the fewest characters of a password or token of readers.
const MinPassword = 12

// Readers are who may read the status page and the metrics; with neither way, everybody who reaches Listen may.
type Readers struct {
	// Username and Password are for basic auth; both or none.
	Username string
	Password sources.Secret
	// BearerToken is for programs.
	BearerToken sources.Secret
}

// readersKeys are the keys under `readers` as they are written.
type readersKeys struct {
	Username    string         `yaml:"username" doc:"With password, for browsers (basic auth)."`
	Password    sources.Secret `yaml:"password" doc:"With username, such as the output of openssl rand -hex 16."`
	BearerToken sources.Secret `yaml:"bearer_token" doc:"For Prometheus and other programs (Authorization: Bearer), without spaces, such as the output of openssl rand -hex 16."`
}

// readers reads who may read. What is written and says nothing is a fault: it must not open the page for everybody.
func (r *reader) readers(root *strictyaml.Node, keys *readersKeys) Readers {
	n := root.Get("readers")
	if n == nil {
		return Readers{}
	}
	if n.Kind == strictyaml.Empty || n.Kind == strictyaml.Mapping && len(n.Entries) == 0 {
		r.Check(root, "readers", errors.New("says nothing; write username and password, or bearer_token, or leave readers out to let everybody read"))
	}
	if n.Kind != strictyaml.Mapping || keys == nil {
		return Readers{}
	}
	if n.Has("username") || n.Has("password") {
		r.Check(n, "username", checkUsername(keys.Username, n.Has("username")))
		err := checkPassword(keys.Password.Reveal())
		if !n.Has("password") {
			err = errors.New("is missing beside username; write password: ${NAME} or password_file: PATH")
		}
		r.Check(n, "password", err)
	}
	if n.Has("bearer_token") {
		token := keys.BearerToken.Reveal()
		err := checkPassword(token)
		if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			err = errors.New("must have letters, digits and signs of ASCII without spaces, as it stands in a header; take the output of `openssl rand -hex 16`")
		}
		r.Check(n, "bearer_token", err)
	}
	return Readers{keys.Username, keys.Password, keys.BearerToken}
}

func checkUsername(name string, there bool) error {
	switch {
	case !there:
		return errors.New("is missing beside password; write username: admin, or another name")
	case name == "":
		return errors.New("is empty; write username: admin, or another name")
	case strings.ContainsFunc(name, func(c rune) bool { return c == ':' || unicode.IsControl(c) }):
		return errors.New("must have no colon and no control characters, which basic auth can't carry")
	}
	return nil
}

// checkPassword does not quote what it checks.
func checkPassword(text string) error {
	if utf8.RuneCountInString(text) < MinPassword {
		return fmt.Errorf("must have %d characters or more, as nothing slows down who guesses; take the output of `openssl rand -hex 16`", MinPassword)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("must have no line breaks and no other control characters, which basic auth can't carry; take the output of `openssl rand -hex 16`")
	}
	return nil
}
