// Package providertest is for tests: Conform, the one suite that every vendor's Provider passes against the emulator;
// Replay, the recorded answers of a vendor; Stub, a Provider made of funcs; and PipeListener, a server without a network for tests under a fake clock.
//
// It must not be imported by anything but tests.
package providertest
