# Completes socialhub-sync in fish; made by `socialhub-sync completion fish`.

# The command so far, such as "manifest show".
function __socialhub_sync_command
    set -l at ''
    set -l flag ''
    for word in (commandline -opc)[2..-1]
        if test -n "$flag"
            set flag ''
            continue
        end
        if contains -- $word --config --log-level --log-format --since --until --source --limit --channel --interactor --listen --network-id --rate-limit --latency --faults --seed
            set flag $word
        else if contains -- (string trim -- "$at $word") 'run' 'check' 'status' 'retry' 'resume' 'adopt' 'actions' 'actions list' 'actions retry' 'actions dismiss' 'manifest' 'manifest show' 'manifest diff' 'manifest apply' 'export' 'import' 'forget' 'doctor' 'migrate' 'adapters' 'config' 'config schema' 'completion' 'demo' 'sandbox' 'version'
            set at (string trim -- "$at $word")
        end
    end
    echo $at
end

function __socialhub_sync_at
    test (__socialhub_sync_command) = "$argv[1]"
end

# Names of a kind, out of the configuration that the command line names.
function __socialhub_sync_names
    set -l words (commandline -opc)
    set -l config
    set -l flag ''
    for word in $words[2..-1]
        if test "$flag" = --config
            set config --config=$word
        else if string match -q -- '--config=*' $word
            set config $word
        end
        set flag $word
    end
    $words[1] names $argv[1] $config 2>/dev/null
end

complete -c socialhub-sync -f

complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a run -d 'Poll the sources and keep the tickets in step; without --once until stopped'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a check -d 'Validate the config, the database, each token and each source'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a status -d 'Show channels and sources; works beside a running daemon'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a retry -d 'Send rejected tickets again'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a resume -d 'End a pause that waits for a person'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a adopt -d 'Learn the _id of tickets from a CSV of networkItemId,_id'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a actions -d 'List what the team did in SocialHub and that needs a person; do it again or dismiss it'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a manifest -d 'Show what a channel\'s team can do, and make it as the config has it'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a export -d 'Write which items are which tickets, without content, as CSV'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a import -d 'Take over tickets from another database, or from another program'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a forget -d 'Erase what is here about items, and take them from no source again'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a doctor -d 'Look for what is wrong with the database, and say what mends it; changes nothing'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a migrate -d 'Bring the database to this version\'s schema'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a adapters -d 'List the adapters and their settings'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a config -d 'Print the JSON schema of the config file, for editors'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a completion -d 'Print the completions for a shell'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a demo -d 'See it work: no config, account, server or network needed'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a sandbox -d 'Run a stand-in for SocialHub to try things against'
complete -c socialhub-sync -n '__socialhub_sync_at \'\'' -a version -d 'Print the version'
complete -c socialhub-sync -l help -d 'Show context-sensitive help'
complete -c socialhub-sync -l config -r -F -d 'Configuration file; default config.yaml'
complete -c socialhub-sync -l log-level -x -a 'debug info warn error' -d 'Least important messages to log: debug,info,warn,error'
complete -c socialhub-sync -l log-format -x -a 'auto text json' -d 'How to log: auto,text,json; auto is text on a terminal and json otherwise'

complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l once -d 'Poll every source once, deliver until nothing is due, and exit'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l dry-run -d 'Show what one round would send, and change nothing'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l watch -d 'Read the config anew when its file changes, as after SIGHUP'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l backfill -d 'Read history once, with a cursor of its own, and exit'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l since -x -d 'With --backfill: oldest item to read, such as 2026-01-31 or 2026-01-31T12:00:00Z, or all'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l until -x -d 'With --backfill: read items before this time only'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l source -x -a '(__socialhub_sync_names sources)' -d 'With --backfill: only this source; may be given several times'
complete -c socialhub-sync -n '__socialhub_sync_at \'run\'' -l limit -x -d 'With --backfill: create or change at most this many tickets; the next run goes on'


complete -c socialhub-sync -n '__socialhub_sync_at \'status\'' -l json -d 'Print JSON for scripts'

complete -c socialhub-sync -n '__socialhub_sync_at \'retry\'' -l source -x -a '(__socialhub_sync_names sources)' -d 'Only tickets of this source'

complete -c socialhub-sync -n '__socialhub_sync_at \'resume\'' -l discard -d 'Drop the changes that the source holds instead of sending them: SocialHub keeps what it shows, and the new content counts as seen'
complete -c socialhub-sync -n '__socialhub_sync_at \'resume\'' -a '(__socialhub_sync_names all)'

complete -c socialhub-sync -n '__socialhub_sync_at \'adopt\'' -l channel -x -a '(__socialhub_sync_names channels)' -d 'Channel of the tickets, if the config has several'
complete -c socialhub-sync -n '__socialhub_sync_at \'adopt\'' -F

complete -c socialhub-sync -n '__socialhub_sync_at \'actions\'' -a list -d 'List the actions that need a person'
complete -c socialhub-sync -n '__socialhub_sync_at \'actions\'' -a retry -d 'Do actions again, or send their outcome again. Where the source can\'t tell whether a reply was posted it may be posted twice by this: look first'
complete -c socialhub-sync -n '__socialhub_sync_at \'actions\'' -a dismiss -d 'Take actions off the list: a person has seen to them. Named ones also if they were not begun. Nobody is told'

complete -c socialhub-sync -n '__socialhub_sync_at \'actions list\'' -l all -d 'List those too that are under way'

complete -c socialhub-sync -n '__socialhub_sync_at \'actions retry\'' -l all -d 'All actions that need a person'

complete -c socialhub-sync -n '__socialhub_sync_at \'actions dismiss\'' -l all -d 'All actions that need a person'

complete -c socialhub-sync -n '__socialhub_sync_at \'manifest\'' -a show -d 'Print the manifest that SocialHub has of a channel, as JSON'
complete -c socialhub-sync -n '__socialhub_sync_at \'manifest\'' -a diff -d 'Say how the manifest differs from the config; changes nothing'
complete -c socialhub-sync -n '__socialhub_sync_at \'manifest\'' -a apply -d 'Make the manifest as the config has it. To a new webhook SocialHub sends a test request at once, so the daemon must be running'

complete -c socialhub-sync -n '__socialhub_sync_at \'manifest show\'' -a '(__socialhub_sync_names channels)'

complete -c socialhub-sync -n '__socialhub_sync_at \'manifest diff\'' -l exit-code -d 'Exit with 1 if there is a difference'
complete -c socialhub-sync -n '__socialhub_sync_at \'manifest diff\'' -a '(__socialhub_sync_names channels)'

complete -c socialhub-sync -n '__socialhub_sync_at \'manifest apply\'' -l webhook -d 'Register the webhook anew in any case'
complete -c socialhub-sync -n '__socialhub_sync_at \'manifest apply\'' -a '(__socialhub_sync_names channels)'

complete -c socialhub-sync -n '__socialhub_sync_at \'export\'' -l channel -x -a '(__socialhub_sync_names channels)' -d 'Only tickets of this channel'
complete -c socialhub-sync -n '__socialhub_sync_at \'export\'' -F

complete -c socialhub-sync -n '__socialhub_sync_at \'import\'' -l channel -x -a '(__socialhub_sync_names channels)' -d 'Only lines of this channel may be in the file'
complete -c socialhub-sync -n '__socialhub_sync_at \'import\'' -l overwrite -d 'Put the file\'s lines in the place of tickets that the database knows otherwise'
complete -c socialhub-sync -n '__socialhub_sync_at \'import\'' -l assume-synced -d 'For lines of networkItemId,_id,source: take the content that the source has now for the one that SocialHub shows, and send only what changes later. Without it each ticket is sent once, and stays where it is in the inbox'
complete -c socialhub-sync -n '__socialhub_sync_at \'import\'' -F

complete -c socialhub-sync -n '__socialhub_sync_at \'forget\'' -l channel -x -a '(__socialhub_sync_names channels)' -d 'Only in this channel; without it in every one'
complete -c socialhub-sync -n '__socialhub_sync_at \'forget\'' -l interactor -x -d 'Instead of ids: what waits here to be sent from this interactorId. What SocialHub has already must be looked up there'



complete -c socialhub-sync -n '__socialhub_sync_at \'adapters\'' -a '(__socialhub_sync_names adapters)'

complete -c socialhub-sync -n '__socialhub_sync_at \'config\'' -a schema -d 'Print the JSON schema of the config file, with which editors complete and check it'


complete -c socialhub-sync -n '__socialhub_sync_at \'completion\'' -a 'bash zsh fish'

complete -c socialhub-sync -n '__socialhub_sync_at \'demo\'' -l once -d 'Do one round, print the tickets that it made, and exit'
complete -c socialhub-sync -n '__socialhub_sync_at \'demo\'' -l listen -x -d 'Address of the inbox page; a free port if it is taken'

complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l listen -x -d 'Address to listen on'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l network-id -x -d 'networkId of the channel; posts by that interactor count as our own'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l fill-hidden-roots -d 'A ticket for an item that exists only as an empty root is filled in, not refused with 409'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l loose-patch -d 'An update may leave all of message, pictures, attachments, link and rating out'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l rate-limit -x -d 'Requests per minute; 0 is no limit'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l latency -x -d 'Delay of every answer'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l faults -x -d 'Trouble to make, as kind:probability,…; kinds: 429 429-absurd 429-date 401 403 500 502 empty hang lost reset slow truncated'
complete -c socialhub-sync -n '__socialhub_sync_at \'sandbox\'' -l seed -x -d 'Seed of the faults; the same seed makes the same trouble'

