// Package o200k counts tokens by OpenAI's o200k vocabulary, in which the bounds of replies are given. Tests and measurements
// alone use it: the program estimates (providers.EstimateTokens), since each vendor has a vocabulary of its own.
package o200k

import (
	"sync"

	"github.com/pkoukk/tiktoken-go"
	loader "github.com/pkoukk/tiktoken-go-loader"
)

// encoding is loaded once, from data that the loader embeds.
var encoding = sync.OnceValues(func() (*tiktoken.Tiktoken, error) {
	tiktoken.SetBpeLoader(loader.NewOfflineLoader())
	return tiktoken.GetEncoding(tiktoken.MODEL_O200K_BASE)
})

// Count returns the number of tokens of a text. It panics where the vocabulary can't be loaded.
func Count(text string) int {
	e, err := encoding()
	if err != nil {
		panic(err)
	}
	return len(e.EncodeOrdinary(text))
}
