// Serves MongoDB's wire protocol for tests: ferretdb ADDRESS FOLDER [TLS-ADDRESS CERTIFICATE KEY].
// Data and certificates are files; it ends with SIGTERM.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	arguments := os.Args[1:]
	if len(arguments) != 2 && len(arguments) != 5 {
		log.Fatal("usage: ferretdb ADDRESS FOLDER [TLS-ADDRESS CERTIFICATE KEY]")
	}
	listener := ferretdb.ListenerConfig{TCP: arguments[0]}
	if len(arguments) == 5 {
		listener.TLS = arguments[2]
		listener.TLSCertFile = arguments[3]
		listener.TLSKeyFile = arguments[4]
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  listener,
		Handler:   "sqlite",
		SQLiteURL: "file:" + arguments[1] + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
