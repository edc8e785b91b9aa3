using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes;

/// <summary>The host's ends of the two pipes between it and a sandbox. Both are non-blocking, which no process inside can change, and closed on exec.</summary>
/// <remarks>
/// Pipes and not a socket: through a socket the code inside could pass descriptors, and the kernel closes those that the host did not ask for within
/// the host's own call. The code inside decides how long closing takes, for example that of a connection that lingers over unsent bytes.
/// </remarks>
public sealed class SandboxChannel : SandboxEndpoint, IDisposable
{
    /// <param name="requests">Write end, non-blocking; the channel owns it from now on.</param>
    /// <param name="answers">Read end, non-blocking; the channel owns it from now on.</param>
    public SandboxChannel(SafeFileHandle requests, SafeFileHandle answers)
    {
        (Requests, Answers) = (requests, answers);
    }

    /// <summary>Write end of the pipe from which the sandbox reads.</summary>
    public SafeFileHandle Requests { get; }

    /// <summary>Read end of the pipe to which the sandbox writes.</summary>
    public SafeFileHandle Answers { get; }

    public void Dispose()
    {
        Requests.Dispose();
        Answers.Dispose();
    }
}

/// <summary>Both pipes of a channel while a process is being started: the ends of the host, and those that the process inherits.</summary>
/// <remarks>
/// The inherited ends stay the property of the server's user, so that a sandbox with a user of its own cannot open the other direction of a pipe by its
/// name in <c>/proc</c>. A sandbox without one can, and then reads and writes only its own pipes.
/// </remarks>
internal sealed class ChannelPipes : IDisposable
{
    /// <summary>Number of the first of <see cref="Inherited"/> in the process; the second follows. They come after standard input, output and error.</summary>
    internal const int FirstDescriptor = 3;

    private ChannelPipes(SandboxChannel host, SafeFileHandle requests, SafeFileHandle answers)
    {
        (Host, Inherited) = (host, [requests, answers]);
    }

    internal SandboxChannel Host { get; }

    /// <summary>Read end of the requests and write end of the answers, blocking.</summary>
    internal IReadOnlyList<SafeFileHandle> Inherited { get; }

    /// <exception cref="IOException">The host has no descriptors left.</exception>
    internal static ChannelPipes Open()
    {
        var (requestsInside, requests) = Libc.OpenPipe();
        var (answers, answersInside) = Libc.OpenPipe();
        var pipes = new ChannelPipes(new SandboxChannel(requests, answers), requestsInside, answersInside);
        Libc.MakeNonBlocking(requests);
        Libc.MakeNonBlocking(answers);
        return pipes;
    }

    /// <summary>Closes the server's copies of the ends that the process has inherited, so that it holds the only ones. The host's ends stay open.</summary>
    public void Dispose()
    {
        foreach (var end in Inherited)
        {
            end.Dispose();
        }
    }
}
