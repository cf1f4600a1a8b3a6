#!/usr/bin/perl
# What Net::SIP sees: what its socket pool hands on, and its own readers of header fields and URIs.
# Messages on stdin, each behind its length; a line of JSON each on stdout, as tests/support/stacks.py says.
use strict;
use warnings;
use Net::SIP::Packet;
use Net::SIP::Request;
use Net::SIP::Response;
use Net::SIP::Util qw(sip_hdrval2parts sip_uri2parts);

my @ADDRESSES = qw(from to contact p-asserted-identity p-preferred-identity remote-party-id diversion history-info);
binmode STDIN;
$| = 1;

sub text {
    my ($text) = @_;
    return 'null' unless defined $text;
    $text =~ s/([^ !#-\[\]-~])/sprintf '\u%04x', ord $1/seg;
    return qq("$text");
}

# The user part of a URI, as Net::SIP::Util splits it; undef when there is none. It ends a URI at the first semicolon,
# also in the user part: the number is then in front of it.
sub user {
    my ($address) = @_;
    my (undef, $user, undef, undef, $data) = eval { sip_uri2parts($address) };
    return $user if defined $user && length $user;
    return $1 if defined $data && $address =~ m{\@} && $data =~ m{^sips?:([^;\@]+)$}i;
    return $1 if $address =~ m{^\s*(?:.*<)?tel:([^;>]+)}i;
    return undef;
}

sub marks {
    my ($packet, $uri) = @_;
    my @marks = map { ['header', $_->{key}, $_->{value}] } @{($packet->as_parts)[2]};
    push @marks, ['Request-URI', 'user', user($uri) // ''];
    for my $name (@ADDRESSES) {
        for my $value ($packet->get_header($name)) {
            my ($data, $parameters) = eval { sip_hdrval2parts($name => $value) } or next;
            push @marks, map { [$name, $_, $parameters->{$_} // ''] } keys %$parameters;
            my (undef, undef, undef, $in_uri) = eval { sip_uri2parts($data) };
            push @marks, map { [$name, $_, $in_uri->{$_} // ''] } keys %$in_uri if ref $in_uri eq 'HASH';
            push @marks, [$name, 'user', user($data) // ''];
        }
    }
    return join ',', map { '[' . join(',', map { text($_) } @$_) . ']' } @marks;
}

sub seen {
    my ($message) = @_;
    return '{"refused":"too short"}' if length $message < 13;
    my $packet = eval { Net::SIP::Packet->new_from_string($message) } or return '{"refused":"cannot be parsed"}';
    return '{"refused":"not a request"}' unless $packet->is_request;
    my ($from) = $packet->get_header('from');
    my ($to) = $packet->get_header('to');
    return '{"refused":"a mandatory header field is missing"}'
        unless defined $from && defined $to && defined $packet->callid && defined $packet->cseq;
    my ($to_uri, $to_parameters) = sip_hdrval2parts(to => $to);
    my ($from_uri) = sip_hdrval2parts(from => $from);
    my ($asserted) = $packet->get_header('p-asserted-identity');
    my ($asserted_uri) = defined $asserted ? sip_hdrval2parts('p-asserted-identity' => $asserted) : undef;
    my $method = $packet->method;
    return sprintf '{"method":%s,"call":%s,"uri":%s,"from":%s,"to_tag":%s,"pai":%s,"marks":[%s]}',
        text($method), $method eq 'INVITE' ? 'true' : 'false', text($packet->uri), text(user($from_uri)),
        text($to_parameters->{tag}), text(defined $asserted_uri ? user($asserted_uri) : undef),
        marks($packet, $packet->uri);
}

while (read(STDIN, my $size, 4) == 4) {
    my $length = unpack 'N', $size;
    my $message = '';
    $length == 0 or read(STDIN, $message, $length) == $length or last;
    my $line = eval { local $SIG{__WARN__} = sub { }; seen($message) } // '{"refused":"cannot be read"}';
    print "$line\n";
}
