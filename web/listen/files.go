package listen

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheck is how often the files of a certificate are looked at, at most.
const recheck = 10 * time.Second

// files is a certificate that lies in files. Whoever renews it writes over them, or puts others in their place; the new
// ones are used soon after, without a restart.
type files struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   stamp
	looked  time.Time
	// told is what was logged about files that can't be used, so that it is logged once.
	told string
}

// stamp changes when one of the files does.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

func newFiles(certFile, keyFile string, log *slog.Logger) (*files, error) {
	f := &files{certFile: certFile, keyFile: keyFile, log: log, looked: time.Now()}
	var err error
	if f.stamp, err = f.look(); err == nil {
		f.current, err = f.load()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// certificate is [tls.Config.GetCertificate]. Files that can't be used leave the last certificate in use.
func (f *files) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) >= recheck {
		f.looked = now
		f.refresh()
	}
	return f.current, nil
}

// refresh reads the files anew if they have changed.
func (f *files) refresh() {
	stamp, err := f.look()
	if err == nil && stamp == f.stamp {
		f.told = ""
		return
	}
	var loaded *tls.Certificate
	if err == nil {
		loaded, err = f.load()
	}
	if err != nil {
		if f.told != err.Error() {
			f.told = err.Error()
			f.log.Error("the new certificate can't be used, the old one stays", slog.Any("error", err))
		}
		return
	}
	f.current, f.stamp, f.told = loaded, stamp, ""
	f.log.Info("certificate read anew", slog.Time("expires", loaded.Leaf.NotAfter))
}

func (f *files) look() (stamp, error) {
	cert, err := os.Stat(f.certFile)
	if err != nil {
		return stamp{}, fmt.Errorf("tls.cert_file: %w; write the path of a certificate that may be read", err)
	}
	key, err := os.Stat(f.keyFile)
	if err != nil {
		return stamp{}, fmt.Errorf("tls.key_file: %w; write the path of the certificate's key, which may be read", err)
	}
	return stamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}, nil
}

// load reads both files. Errors of crypto/tls hold nothing of the key.
func (f *files) load() (*tls.Certificate, error) {
	cert, err := os.ReadFile(f.certFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w; write the path of a certificate that may be read", err)
	}
	key, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.key_file: %w; write the path of the certificate's key, which may be read", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file %s with tls.key_file %s: %w; both must be PEM files, of one certificate with its chain and of its key",
			f.certFile, f.keyFile, err)
	}
	if left := time.Until(pair.Leaf.NotAfter); left < 0 {
		f.log.Warn("the certificate has expired, SocialHub will refuse it", slog.String("tls.cert_file", f.certFile), slog.Time("expired", pair.Leaf.NotAfter))
	}
	return &pair, nil
}
