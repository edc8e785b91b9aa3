using System.Runtime.InteropServices;

namespace Frusta.Server.Roles;

/// <summary>Handles SIGTERM, SIGHUP and Ctrl-C: the first signal asks for an orderly end, the second ends the process at once.</summary>
internal sealed class Shutdown : IDisposable
{
    private const int EndedBySignal = 130;

    private readonly CancellationTokenSource _asked = new();
    private readonly PosixSignalRegistration[] _registrations;
    private int _signals;

    public Shutdown() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
        PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle),
    ];

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Asked => _asked.Token;

    /// <summary>Completes at the first signal.</summary>
    public async Task WaitAsync()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = _asked.Token.Register(asked.SetResult);
        await asked.Task;
    }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _asked.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) == 1)
        {
            Console.Error.WriteLine("frusta: stopping; running activations may end first. A second signal ends the server at once.");
            _asked.Cancel();
        }
        else
        {
            Environment.Exit(EndedBySignal);
        }
    }
}
