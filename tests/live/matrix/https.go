// SPDX-License-Identifier: GPL-2.0-or-later

// https.go - net/http with crypto/tls: each line of standard input is a
// target.  PROTOCOL is 1 or 2, of HTTP.  Standard library only.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"os"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	authority, err := os.ReadFile(os.Getenv("CA"))
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: os.Getenv("PROTOCOL") == "2",
	}}
	base := "https://" + os.Getenv("HOST") + ":" + os.Getenv("TLS_PORT")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := client.Get(base + lines.Text())
		check(err)
		_, err = io.Copy(io.Discard, answer.Body)
		check(err)
		answer.Body.Close()
	}
}
