package app

import (
	"bytes"
	"log/slog"
	"testing"

	"socialhub-sync/app/config"
	"socialhub-sync/sources"
)

func TestAListenerThatStrangersDoNotReachOrReadIsNotTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listen, token string
		told          bool
	}{
		{"", "", false}, {"127.0.0.1:0", "", false}, {"[::1]:0", "", false}, {"0.0.0.0:0", "", true}, {":0", "", true}, {":0", "0123456789ab", false},
	} {
		var log bytes.Buffer
		c := &config.Config{Listen: test.listen, Readers: config.Readers{BearerToken: sources.NewSecret(test.token)}}
		a, err := New(c, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		a.warnOfReaders()
		if err := a.closeListener(t.Context()); err != nil {
			t.Error(err)
		}
		if told := log.Len() > 0; told != test.told {
			t.Errorf("%q with %q: the log is\n%s", test.listen, test.token, &log)
		}
	}
}
