//go:build crashpoints

package store

import (
	"database/sql"
	"database/sql/driver"

	"socialhub-sync/torture/crashpoint"
)

// sqliteWriter is the driver of SQLite's writing connection.
const sqliteWriter = "sqlite with crash points"

func init() {
	db, err := sql.Open("sqlite", "")
	if err != nil {
		panic(err)
	}
	sql.Register(sqliteWriter, crashpoint.Driver(db.Driver()))
}

func instrument(c driver.Connector) driver.Connector { return crashpoint.Connector(c) }
