#!/usr/bin/perl
# What Net::SIP reads from TCP: what its socket pool hands on. A line for each message (tests/judges/drivers/stream.py).
use strict;
use warnings;
use IO::Socket::INET;
use Net::SIP::Dispatcher::Eventloop;
use Net::SIP::Request;
use Net::SIP::Response;
use Net::SIP::SocketPool;

$| = 1;
my $listener = IO::Socket::INET->new(Listen => 10, LocalAddr => '127.0.0.1', LocalPort => 5070, ReuseAddr => 1) or die $!;
my $loop = Net::SIP::Dispatcher::Eventloop->new;

sub message {
    my ($packet) = @_;
    my $method = $packet->is_request ? $packet->method : $packet->code;
    my ($call, $body) = ($packet->callid // '', ($packet->as_parts)[3] // '');
    printf "|judge|%s|%s|body|%d|\n", unpack('H*', $method // ''), unpack('H*', $call), length $body;
}

Net::SIP::SocketPool->new('tcp', $listener)->attach_eventloop($loop, \&message);
$loop->loop;
