//go:build !unix

package realpath

import "os"

// OpenFlags are plain: named pipes live outside of the file systems here.
const OpenFlags = os.O_RDONLY
