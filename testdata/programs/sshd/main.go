// A server of Git over SSH on loopback, for tests: it lets in who holds the one key, runs
// what it is asked to run, and misbehaves when it is told to.
//
// Its one argument is a directory with its host keys (host-*, beside which a certificate
// *-cert.pub may lie) and the key that is let in (authorized.pub). While there is a file
// `manner` in it, that is how connections are served.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

func main() {
	directory := os.Args[1]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection, directory)
	}
}

func serve(connection net.Conn, directory string) {
	defer connection.Close()
	switch manner(directory) {
	case "silence":
		io.Copy(io.Discard, connection)
		return
	case "banner":
		for {
			if _, err := io.WriteString(connection, "not a version\r\n"); err != nil {
				return
			}
		}
	}
	config, err := configuration(directory)
	if err != nil {
		log.Print(err)
		return
	}
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		log.Print(err)
		return
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		go session(channel, directory)
	}
}

// The manner is read for each connection, and so are the keys.
func manner(directory string) string {
	text, _ := os.ReadFile(filepath.Join(directory, "manner"))
	return strings.TrimSpace(string(text))
}

func configuration(directory string) (*ssh.ServerConfig, error) {
	text, err := os.ReadFile(filepath.Join(directory, "authorized.pub"))
	if err != nil {
		return nil, err
	}
	allowed, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if bytes.Equal(key.Marshal(), allowed.Marshal()) {
				return nil, nil
			}
			return nil, fmt.Errorf("another key")
		},
	}
	files, err := filepath.Glob(filepath.Join(directory, "host-*"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".pub") {
			continue
		}
		if err := addKey(config, file); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func addKey(config *ssh.ServerConfig, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return err
	}
	config.AddHostKey(signer)
	text, err = os.ReadFile(file + "-cert.pub")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return err
	}
	certified, err := ssh.NewCertSigner(key.(*ssh.Certificate), signer)
	if err != nil {
		return err
	}
	config.AddHostKey(certified)
	return nil
}

func session(offered ssh.NewChannel, directory string) {
	if offered.ChannelType() != "session" {
		offered.Reject(ssh.UnknownChannelType, "sessions only")
		return
	}
	channel, requests, err := offered.Accept()
	if err != nil {
		log.Print(err)
		return
	}
	defer channel.Close()
	for request := range requests {
		if request.Type != "exec" {
			request.Reply(false, nil)
			continue
		}
		var asked struct{ Command string }
		if err := ssh.Unmarshal(request.Payload, &asked); err != nil {
			log.Print(err)
			return
		}
		request.Reply(true, nil)
		status := struct{ Code uint32 }{run(asked.Command, channel, directory)}
		channel.SendRequest("exit-status", false, ssh.Marshal(&status))
		return
	}
}

func run(command string, channel ssh.Channel, directory string) uint32 {
	program := exec.Command("sh", "-c", command)
	if script := manner(directory); script != "" {
		program = exec.Command("sh", "-c", script)
	}
	program.Stdout, program.Stderr = channel, channel.Stderr()
	input, err := program.StdinPipe()
	if err != nil {
		log.Print(err)
		return 127
	}
	if err := program.Start(); err != nil {
		log.Print(err)
		return 127
	}
	// Not waited for: the other side may keep its end open.
	go func() {
		io.Copy(input, channel)
		input.Close()
	}()
	if err := program.Wait(); err != nil {
		return 1
	}
	return 0
}
