# Counts the letters of the request's line.
use strict;
use warnings;
use JSON::PP ();

$| = 1;
my %seen;
my $line = <STDIN>;
$seen{$_}++ for split //, $line;
print join(",", map { "$_$seen{$_}" } grep { /\w/ } sort keys %seen), "\n";
