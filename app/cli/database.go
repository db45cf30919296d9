package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

// openForReading loads the config and opens its database so that nothing can be changed.
func (e *env) openForReading() (*config.Config, *store.Store, error) {
	return e.openWith(store.OpenReadOnly)
}

// openForRepair loads the config and opens its database, which must have this version's schema.
func (e *env) openForRepair() (*config.Config, *store.Store, error) {
	return e.openWith(store.Open)
}

func (e *env) openWith(open func(ctx context.Context, url string) (*store.Store, error)) (*config.Config, *store.Store, error) {
	c, err := e.config()
	if err != nil {
		return nil, nil, err
	}
	if err := mustExist(c); err != nil {
		return nil, nil, err
	}
	s, err := open(e.ctx, c.Database.Reveal())
	if err != nil {
		return nil, nil, err
	}
	if err := s.CheckSchema(e.ctx); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return c, s, nil
}

// mustExist keeps a command that only looks from making an empty database file.
func mustExist(c *config.Config) error {
	path, ok := c.DatabaseFile()
	if !ok {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database at %s yet; `socialhub-sync run` or `migrate` makes it", path)
	}
	return nil
}

type migrateCommand struct{}

func (migrateCommand) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	s, err := store.Open(e.ctx, c.Database.Reveal())
	if err != nil {
		return err
	}
	defer s.Close()
	applied, err := s.Migrate(e.ctx)
	if err != nil {
		return err
	}
	for _, name := range applied {
		fmt.Fprintln(e.Out, "applied", name)
	}
	if len(applied) == 0 {
		fmt.Fprintln(e.Out, "the database is up to date")
	}
	return nil
}

type versionCommand struct{}

func (versionCommand) Run(e *env) error {
	fmt.Fprintln(e.Out, "socialhub-sync", app.Version())
	return nil
}
