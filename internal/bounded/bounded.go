// Package bounded runs functions that may not obey their context, and gives up on them when it ends.
package bounded

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Outcome is what a function returned. A panic is an error that holds the stack.
type Outcome[T any] struct {
	Value T
	Err   error
}

// Go runs f in a goroutine of its own and returns the channel on which its outcome arrives. The channel holds it, so that f
// ends also when nobody receives.
func Go[T any](ctx context.Context, f func(context.Context) (T, error)) <-chan Outcome[T] {
	done := make(chan Outcome[T], 1)
	go func() {
		var o Outcome[T]
		defer func() {
			if p := recover(); p != nil {
				o.Err = Panic(p)
			}
			done <- o
		}()
		o.Value, o.Err = f(ctx)
	}()
	return done
}

// Panic returns a recovered panic as an error with the stack. Call it in the deferred function that recovers.
func Panic(recovered any) error { return fmt.Errorf("panic: %v\n%s", recovered, debug.Stack()) }

// Await receives from done, and reports whether it did before ctx ended. What is there when ctx ends is received.
func Await[T any](ctx context.Context, done <-chan T) (got T, ok bool) {
	select {
	case got = <-done:
		return got, true
	case <-ctx.Done():
	}
	select {
	case got = <-done:
		return got, true
	default:
		return got, false
	}
}

// Run runs f and returns its outcome, or the cause of ctx's end when that comes first: f is then left to itself.
func Run[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	o, ok := Await(ctx, Go(ctx, f))
	if !ok {
		return o.Value, context.Cause(ctx)
	}
	return o.Value, o.Err
}

// Do is Run for a function without a value.
func Do(ctx context.Context, f func(context.Context) error) error {
	_, err := Run(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// Waiter is a sync.WaitGroup, or whatever else is waited for without a context.
type Waiter interface{ Wait() }

// Done returns a channel that is closed when w's wait is over.
func Done(w Waiter) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Wait()
	}()
	return done
}

// Wait waits for w, or returns the cause of ctx's end when that comes first.
func Wait(ctx context.Context, w Waiter) error {
	if _, ok := Await(ctx, Done(w)); !ok {
		return context.Cause(ctx)
	}
	return nil
}
