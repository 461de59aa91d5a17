//go:build !unix

package workspace

import "os"

// openFlags are plain: named pipes live outside of the file systems here.
const openFlags = os.O_RDONLY
