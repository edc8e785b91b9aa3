namespace Frusta.Contracts.Json;

/// <summary>A bounded number of threads that read, merge and write JSON that is too large for an event loop, for a bounded number of requests.</summary>
/// <remarks>
/// A request gets a <see cref="JsonTurn"/>. Once it has entered, each piece of it, from one wait to the next, runs on one of these threads; while it
/// waits it holds none. The pieces of one namespace stand in one line, and the lines take turns. With more than one thread a single line never has all:
/// a client that sends the worst body again and again leaves one thread to the others.
/// </remarks>
public sealed class JsonWorkers : IDisposable
{
    private const int NamespaceFraction = 4;

    private readonly LargeJsonOptions _options;
    private readonly int _mostRunning;
    private readonly object _gate = new(); // an object, since Lock has no Monitor.Wait
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);
    private readonly LinkedList<Line> _inOrder = new();
    private int _entered;
    private bool _stopped;

    /// <param name="options">The bounds.</param>
    /// <param name="name">Name of the threads.</param>
    public JsonWorkers(LargeJsonOptions options, string name)
    {
        _options = options;
        _mostRunning = Math.Max(1, options.Threads - 1);
        for (var i = 0; i < options.Threads; i++)
        {
            new Thread(Work) { IsBackground = true, Name = $"{name} {i}" }.Start();
        }
    }

    /// <summary>Requests that have entered and are not over.</summary>
    public int Entered
    {
        get
        {
            lock (_gate)
            {
                return _entered;
            }
        }
    }

    /// <summary>True when so many bytes are too many for an event loop.</summary>
    public bool IsLarge(long bytes) => bytes > _options.InlineBytes;

    /// <summary>Runs a request that may come upon large JSON on its way: <see cref="JsonTurn.EnterForAsync"/> then moves it to the threads.</summary>
    /// <param name="namespaceUuid">The caller's namespace.</param>
    /// <param name="request">The request. Each of its waits ends on the thread pool until it has entered.</param>
    public async ValueTask<T> RunAsync<T>(string namespaceUuid, Func<ValueTask<T>> request)
    {
        using var turn = new JsonTurn(this, namespaceUuid);
        SynchronizationContext.SetSynchronizationContext(turn);
        var running = request();
        turn.PieceIsOver();
        return await running;
    }

    /// <summary>Runs work that is large from its start on the threads. Within a turn that has entered it is part of that turn.</summary>
    /// <param name="namespaceUuid">The caller's namespace.</param>
    /// <param name="work">The work.</param>
    /// <param name="full">The result where too many requests have entered already.</param>
    public async ValueTask<T> RunLargeAsync<T>(string namespaceUuid, Func<ValueTask<T>> work, T full)
    {
        if (SynchronizationContext.Current is JsonTurn { HasEntered: true } current && current.IsOf(this))
        {
            return await work();
        }

        return await RunAsync(namespaceUuid, async () => await JsonTurn.EnterAsync() ? await work() : full);
    }

    /// <summary>Ends the threads once no request waits; later requests are refused.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Gives a request a place in its namespace's line; null when there is no place left.</summary>
    internal Line? TryEnter(string namespaceUuid)
    {
        lock (_gate)
        {
            var line = _lines.GetValueOrDefault(namespaceUuid);
            if (_stopped || _entered >= _options.MaxWaiting || line?.Entered >= _options.MaxWaiting / NamespaceFraction)
            {
                return null;
            }

            if (line is null)
            {
                line = new Line(namespaceUuid);
                _lines.Add(namespaceUuid, line);
                _inOrder.AddLast(line);
            }

            line.Entered++;
            _entered++;
            return line;
        }
    }

    /// <summary>Puts a piece of a request into its line; false when the request has not entered or is over.</summary>
    internal bool TryEnqueue(JsonTurn turn, SendOrPostCallback callback, object? state)
    {
        lock (_gate)
        {
            if (turn.Line is not { } line)
            {
                return false;
            }

            line.Waiting.Enqueue((turn, callback, state));
            Monitor.Pulse(_gate);
            return true;
        }
    }

    /// <summary>Takes a request out of its line. Pieces that it has left there still run.</summary>
    internal void Leave(JsonTurn turn)
    {
        lock (_gate)
        {
            if (turn.Line is { } line)
            {
                turn.Line = null;
                line.Entered--;
                _entered--;
                RemoveIfEmpty(line);
            }
        }
    }

    private void Work()
    {
        while (Take() is var (line, (turn, callback, state)))
        {
            SynchronizationContext.SetSynchronizationContext(turn);
            callback(state);
            SynchronizationContext.SetSynchronizationContext(null);
            Finished(line);
        }
    }

    private (Line Line, (JsonTurn Turn, SendOrPostCallback Callback, object? State) Piece)? Take()
    {
        lock (_gate)
        {
            while (true)
            {
                for (var node = _inOrder.First; node is not null; node = node.Next)
                {
                    var line = node.Value;
                    if (line.Running < _mostRunning && line.Waiting.TryDequeue(out var piece))
                    {
                        line.Running++;
                        _inOrder.Remove(node);
                        _inOrder.AddLast(node);
                        return (line, piece);
                    }
                }

                if (_stopped && _lines.Count == 0)
                {
                    return null;
                }

                Monitor.Wait(_gate);
            }
        }
    }

    private void Finished(Line line)
    {
        lock (_gate)
        {
            line.Running--;
            RemoveIfEmpty(line);
            Monitor.PulseAll(_gate); // another piece of this namespace may run now
        }
    }

    private void RemoveIfEmpty(Line line)
    {
        if (line.Entered == 0 && line.Running == 0 && line.Waiting.Count == 0)
        {
            _lines.Remove(line.NamespaceUuid);
            _inOrder.Remove(line);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>The requests of one namespace that have entered.</summary>
    internal sealed class Line(string namespaceUuid)
    {
        public string NamespaceUuid => namespaceUuid;

        /// <summary>Pieces that may run now.</summary>
        public Queue<(JsonTurn Turn, SendOrPostCallback Callback, object? State)> Waiting { get; } = new();

        public int Entered { get; set; }

        public int Running { get; set; }
    }
}
