package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Code is the machine code of a refused or failed file access, one of the contract's error codes.
type Code string

// The codes that an Error can carry.
const (
	CodeDenied   Code = "path_denied"
	CodeNotFound Code = "file_not_found"
	CodeTooLarge Code = "too_large"
	CodeInvalid  Code = "invalid_request"
)

// Error is a file that could not be used, for two audiences: Code for programs; Path, Message and Hint for the model that
// reads the reply. Neither holds any of a file's content.
type Error struct {
	Code    Code
	Path    string // as the caller named it, or as the host names it
	Message string // one sentence
	Hint    string // what to do next, with the setting to change where there is one
	Err     error  // the cause, for the log

	outside bool // no root contains it, so another root could make it readable
}

// Error is the sentence for logs; replies are made from the fields.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + " (" + e.Err.Error() + ")"
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func asError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// codeOf is the code of an error of this package, "" for any other.
func codeOf(err error) Code {
	if e, ok := asError(err); ok {
		return e.Code
	}
	return ""
}

func invalid(path, message, hint string) *Error {
	return &Error{Code: CodeInvalid, Path: path, Message: message, Hint: hint}
}

func notFound(path, hint string) *Error {
	return &Error{Code: CodeNotFound, Path: path, Message: quoted(path) + " does not exist.", Hint: hint}
}

// refused is a path that no setting lets through.
func refused(path, why string) *Error {
	return &Error{
		Code: CodeDenied, Path: path,
		Message: quoted(path) + " is refused: " + why + ".",
		Hint:    "No setting overrides this, including EXAI_ALLOWED_ROOTS. Copy what may be shared into another file, such as .env.example.",
	}
}

// systemError turns what the operating system said into an Error.
func systemError(path string, err error) *Error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &Error{
			Code: CodeDenied, Path: path, Err: err,
			Message: "The system does not let the server read " + quoted(path) + ".",
			Hint:    "Give the user that runs the server read access to it, or name another file.",
		}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return notFound(path, "Check the spelling; folders may be given too.")
	}
	return &Error{
		Code: CodeInvalid, Path: path, Err: err,
		Message: "The server could not read " + quoted(path) + ".",
		Hint:    "Name another file, or look into the server's log.",
	}
}

// changed is a file or folder that was exchanged between the check and the open.
func changed(path string) *Error {
	return &Error{
		Code: CodeDenied, Path: path,
		Message: quoted(path) + " was exchanged for something else while it was being opened.",
		Hint:    "Try again when nothing is replacing it. Links that leave EXAI_ALLOWED_ROOTS are refused.",
	}
}

// quoted shows a path in a sentence, on one line whatever its name holds.
func quoted(path string) string {
	const most = 300
	if len(path) > most {
		path = strings.ToValidUTF8(path[:most], "") + "..."
	}
	return fmt.Sprintf("%q", path)
}
