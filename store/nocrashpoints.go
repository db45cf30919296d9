//go:build !crashpoints

package store

import "database/sql/driver"

// sqliteWriter is the driver of SQLite's writing connection.
const sqliteWriter = "sqlite"

// instrument is where a build for tests puts its crash points.
func instrument(c driver.Connector) driver.Connector { return c }
