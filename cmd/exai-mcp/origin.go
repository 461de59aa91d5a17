package main

import (
	"os"
	"os/user"
)

// origin is the host and the user that conversations started by this process are known by, "" where the system names none.
func origin() (host, name string) {
	host, _ = os.Hostname() // "" then
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return host, name
}
