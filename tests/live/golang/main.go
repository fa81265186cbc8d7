// SPDX-License-Identifier: GPL-2.0-or-later

// main.go - both ends of TLS connections in Go, who know the truth.
//
//	main SCENARIO DIR
//
// Each end notes what its calls moved: DIR/PID.N.in, DIR/PID.N.out, and in
// DIR/PID.N.about its name, addresses and library, as streamdump does.
// Standard library only.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	random "math/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

var (
	directory string
	config    *tls.Config
	numbers   int
	lock      sync.Mutex
)

// noted is a connection that notes what it moved.
type noted struct {
	*tls.Conn
	in, out bytes.Buffer
	once    sync.Once
}

func (n *noted) Read(b []byte) (int, error) {
	count, err := n.Conn.Read(b)
	n.in.Write(b[:count])
	return count, err
}

func (n *noted) Write(b []byte) (int, error) {
	count, err := n.Conn.Write(b)
	n.out.Write(b[:count])
	return count, err
}

func (n *noted) Close() error {
	n.once.Do(n.note)
	return n.Conn.Close()
}

func (n *noted) note() {
	lock.Lock()
	numbers++
	name := fmt.Sprintf("%s/%d.%d.", directory, os.Getpid(), numbers)
	lock.Unlock()
	comm := filepath.Base(os.Args[0])
	if len(comm) > 15 {
		comm = comm[:15]
	}
	strip := strings.NewReplacer("[", "", "]", "")
	about := fmt.Sprintf("%s %s %s go\n", comm,
		strip.Replace(n.LocalAddr().String()),
		strip.Replace(n.RemoteAddr().String()))
	keep(name+"about", []byte(about))
	keep(name+"in", n.in.Bytes())
	keep(name+"out", n.out.Bytes())
}

func keep(name string, data []byte) {
	check(os.WriteFile(name, data, 0o600))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// certify makes a certificate for both ends.
func certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	about := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about,
		&key.PublicKey, key)
	check(err)
	config = &tls.Config{
		InsecureSkipVerify: true,
		Certificates: []tls.Certificate{
			{Certificate: [][]byte{der}, PrivateKey: key}},
	}
}

// Types of one's own around a connection, as programs have them.
type asInterface struct{ net.Conn }
type asPointer struct{ *net.TCPConn }

func wrap(c net.Conn, how int) net.Conn {
	switch how % 3 {
	case 1:
		return &asInterface{c}
	case 2:
		return &asPointer{c.(*net.TCPConn)}
	}
	return c
}

// pair is both ends of one connection.
func pair(network, address string, how int) (client, server *noted) {
	listener, err := net.Listen(network, address)
	check(err)
	defer listener.Close()
	done := make(chan net.Conn)
	go func() {
		c, err := listener.Accept()
		check(err)
		done <- c
	}()
	c, err := net.Dial(network, listener.Addr().String())
	check(err)
	client = &noted{Conn: tls.Client(wrap(c, how), config)}
	server = &noted{Conn: tls.Server(wrap(<-done, how), config)}
	return client, server
}

// fill makes size random bytes.
func fill(size int) []byte {
	data := make([]byte, size)
	rand.Read(data)
	return data
}

// talk sends messages of random sizes, each sent back by the other end.
func talk(client, server *noted, messages, largest int) {
	go func() {
		io.Copy(server, reader{server})
		server.Close()
	}()
	for i := 0; i < messages; i++ {
		data := fill(1 + random.Intn(largest))
		back := make([]byte, len(data))
		written := make(chan error)
		go func() {
			_, err := client.Write(data)
			written <- err
		}()
		_, err := io.ReadFull(client, back)
		check(err)
		check(<-written)
		if !bytes.Equal(data, back) {
			log.Fatal("the echo differs")
		}
	}
	client.Conn.CloseWrite()
	io.Copy(io.Discard, reader{client})
	client.Close()
}

// reader hides all but Read, so that io.Copy takes no other way.
type reader struct{ from io.Reader }

func (r reader) Read(b []byte) (int, error) { return r.from.Read(b) }

func main() {
	log.SetFlags(log.Lshortfile)
	directory = os.Args[2]
	certify()
	run := map[string]func(){
		"echo": echo, "many": many, "duplex": duplex, "stacks": stacks,
		"http": web, "early": early, "reuse": reuse,
		"waiting": waiting,
	}[os.Args[1]]
	run()
}

// echo: TLS 1.3 and 1.2, IPv4 and IPv6, small and large, types of one's own.
func echo() {
	for how, address := range []string{"127.0.0.1:0", "[::1]:0",
		"127.0.0.1:0"} {
		client, server := pair("tcp", address, how)
		talk(client, server, 40, 100000)
	}
	config.MaxVersion = tls.VersionTLS12
	client, server := pair("tcp", "127.0.0.1:0", 0)
	talk(client, server, 100, 300)
}

// many: goroutines that wait for each other on few threads.
func many() {
	var all sync.WaitGroup
	for i := 0; i < 40; i++ {
		client, server := pair("tcp", "127.0.0.1:0", i)
		all.Add(1)
		go func() {
			talk(client, server, 25, 5000)
			all.Done()
		}()
	}
	all.Wait()
}

// pour writes random bytes in pieces of random sizes, then says the end.
func pour(to *noted, total int) {
	for total > 0 {
		data := fill(1 + random.Intn(20000))
		count, err := to.Write(data)
		check(err)
		total -= count
	}
	check(to.Conn.CloseWrite())
}

// duplex: each end reads and writes at the same time.
func duplex() {
	client, server := pair("tcp", "127.0.0.1:0", 0)
	var all sync.WaitGroup
	for _, end := range []*noted{client, server} {
		end := end
		all.Add(2)
		go func() {
			pour(end, 2000000)
			all.Done()
		}()
		go func() {
			io.Copy(io.Discard, reader{end})
			all.Done()
		}()
	}
	all.Wait()
	client.Close()
	server.Close()
}

// onStack reads into, and writes from, its own frame; the notes come after.
// The calls are to *tls.Conn itself, or the array would not stay on the stack.
func onStack(end *noted, write bool) {
	var frame [700]byte
	if write {
		copy(frame[:], fill(len(frame)))
		count, err := end.Conn.Write(frame[:])
		check(err)
		end.out.Write(append([]byte(nil), frame[:count]...))
		return
	}
	for at := 0; at < len(frame); {
		count, err := end.Conn.Read(frame[at:])
		check(err)
		end.in.Write(append([]byte(nil), frame[at:at+count]...))
		at += count
	}
}

// deeper leaves so much less of the stack for the call.
func deeper(depth int, call func()) byte {
	var frame [256]byte
	if depth > 0 {
		frame[depth%256] = deeper(depth-1, call)
	} else {
		call()
	}
	return frame[0]
}

// stacks: buffers on stacks that grow and shrink, hence move, under the calls.
func stacks() {
	client, server := pair("tcp", "127.0.0.1:0", 0)
	for depth := 0; depth < 60; depth++ {
		var both sync.WaitGroup
		both.Add(2)
		go func() {
			deeper(depth, func() { onStack(server, false) })
			both.Done()
		}()
		runtime.Gosched()
		runtime.GC()
		go func() {
			deeper(depth, func() { onStack(client, true) })
			both.Done()
		}()
		both.Wait()
	}
	client.Close()
	server.Close()
}

// notedListener is net/http's way to noted connections.
type notedListener struct{ net.Listener }

func (l notedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &noted{Conn: tls.Server(c, config)}, nil
}

// web: net/http on both ends, HTTP/1.1 over TLS 1.3.
func web() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, io.MultiReader(r.Body,
				bytes.NewReader(fill(50000))))
		})}
	stopped := make(chan bool)
	go func() {
		server.Serve(notedListener{listener})
		stopped <- true
	}()
	transport := &http.Transport{DialTLSContext: func(ctx context.Context,
		network, address string) (net.Conn, error) {
		c, err := net.Dial(network, address)
		check(err)
		return &noted{Conn: tls.Client(c, config)}, nil
	}}
	client := &http.Client{Transport: transport}
	for i := 0; i < 23; i++ {
		answer, err := client.Post(
			"https://"+listener.Addr().String()+"/secret",
			"text/plain", strings.NewReader("what is asked"))
		check(err)
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	transport.CloseIdleConnections()
	check(server.Shutdown(context.Background()))
	<-stopped
}

// exchange moves bytes both ways, one call at a time.
func exchange(client, server *noted) {
	for _, ends := range [][2]*noted{{client, server}, {server, client}} {
		data := fill(5000)
		_, err := ends[0].Write(data)
		check(err)
		_, err = io.ReadFull(ends[1], make([]byte, len(data)))
		check(err)
	}
}

// early: a connection that is open before the tracer; later bytes are noted.
func early() {
	client, server := begun()
	await()
	exchange(client, server)
	client.Close()
	server.Close()
}

// begun is a connection that has moved bytes, which are not noted.
func begun() (client, server *noted) {
	client, server = pair("tcp", "127.0.0.1:0", 0)
	go client.Conn.Handshake()
	check(server.Conn.Handshake())
	exchange(client, server)
	client.in.Reset()
	client.out.Reset()
	server.in.Reset()
	server.out.Reset()
	return client, server
}

// await says that all is ready, and waits for the word to go on.
func await() {
	keep(directory+"/ready", nil)
	for {
		if _, err := os.Stat(directory + "/go"); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// waiting: a Read that waits for its bytes when the tracer comes.
func waiting() {
	client, server := begun()
	done := make(chan error)
	go func() {
		_, err := io.ReadFull(server, make([]byte, 1000))
		done <- err
	}()
	stacks := make([]byte, 1<<20)
	for waits := false; !waits; {
		size := runtime.Stack(stacks, true)
		for _, one := range strings.Split(string(stacks[:size]), "\n\n") {
			waits = waits || strings.Contains(one, "[IO wait") &&
				strings.Contains(one, "tls.(*Conn).Read(")
		}
	}
	await()
	_, err := client.Write(fill(1000)) // less than the smallest record
	check(err)
	check(<-done)
	exchange(client, server)
	client.Close()
	server.Close()
}

// reuse: connections one after the other, whose objects, descriptors and
// goroutines the runtime and the kernel take again; half are not closed by
// their own Close.
func reuse() {
	for i := 0; i < 30; i++ {
		client, server := pair("tcp", "127.0.0.1:0", 0)
		go client.Conn.Handshake()
		check(server.Conn.Handshake())
		exchange(client, server)
		if i%2 == 0 {
			client.note()
			server.note()
			client.NetConn().Close()
			server.NetConn().Close()
		} else {
			client.Close()
			server.Close()
		}
		runtime.GC()
	}
}
