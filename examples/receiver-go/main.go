// A receiver of alert-relay's webhooks: verifies requests, processes every event once, and answers before it processes.
//
//	WEBHOOK_SECRET=whsec_... PORT=9000 go run .
package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const tolerance, maxBodyBytes = 5 * time.Minute, 10 << 20

var key, keyErr = base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))

// Ids of the events received. In memory for brevity: a table with a unique column survives a restart, and can be pruned.
var received sync.Map

func isGenuine(id, timestamp, signatures string, body []byte) bool {
	// A recorded request must not be accepted later: its time is signed, too.
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	// The signature is over the bytes as received, so verify before parsing.
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// While a secret is rotated there are several signatures, separated by spaces, of which one must match. hmac.Equal
	// compares in constant time, so that a signature cannot be guessed byte by byte.
	for _, signature := range strings.Split(signatures, " ") {
		if hmac.Equal(expected, []byte(signature)) {
			return true
		}
	}
	return false
}

func receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	id := r.Header.Get("webhook-id") // the same at every retry and replay, and signed
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	} else if !isGenuine(id, r.Header.Get("webhook-timestamp"), r.Header.Get("webhook-signature"), body) {
		w.WriteHeader(http.StatusUnauthorized)
	} else {
		// If no event may be lost, store it here, before the answer: after a 2xx the relay does not send it again.
		if _, repeated := received.LoadOrStore(id, true); !repeated {
			go work(id, body)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// Slow work belongs here: the relay waits 15 seconds for an answer, and retries without one.
func work(id string, body []byte) {
	// json.Unmarshal(body, ...); the contents of an alert are untrusted: %q escapes terminal codes and line breaks
	fmt.Printf("took %s %q\n", id, body)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "9000"))
	if err != nil || keyErr != nil || len(key) == 0 {
		log.Fatal("no port, or WEBHOOK_SECRET is not whsec_ and base64: ", err, keyErr)
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	server := &http.Server{Handler: http.HandlerFunc(receive), ReadTimeout: 30 * time.Second}
	log.Fatal(server.Serve(listener))
}
