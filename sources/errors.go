package sources

import "time"

// StopError ends a pull that no waiting will mend (wrong credentials, a setting that the server
// refuses): the source is paused until a person says resume or changes the config.
type StopError struct{ Err error }

func (e *StopError) Error() string { return e.Err.Error() }
func (e *StopError) Unwrap() error { return e.Err }

// RetryAfterError ends a pull with the source's own word on when to come back.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }
func (e *RetryAfterError) Unwrap() error { return e.Err }

// SettingError is a fault in one setting.
type SettingError struct {
	// Key is the path below `settings:`, dotted: "auth.token".
	Key string
	// Problem says what is wrong and what to write instead, in lower case.
	Problem string
}

func (e *SettingError) Error() string { return e.Key + ": " + e.Problem }
