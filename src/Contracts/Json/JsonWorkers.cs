namespace Frusta.Contracts.Json;

/// <summary>The threads on which JSON is read that is too large for an event loop: a bounded number of them, with a bounded number of turns that wait.</summary>
/// <remarks>
/// Whoever has something large to read, merge or write enters. The method that entered goes on on one of these threads, also behind each of its
/// waits. A caller that waited for that method goes on on the thread pool; the turn and its thread stay taken until the turn is disposed, so that
/// the number of threads bounds how much is worked on at a time. Namespaces take turns; one alone never has all threads, so that a client that sends the worst body again and again leaves one to the others.
/// </remarks>
public sealed class JsonWorkers : IDisposable
{
    private const int NamespaceFraction = 4;

    private readonly LargeJsonOptions _options;
    private readonly int _mostRunning;
    private readonly int _mostWaiting;
    private readonly object _gate = new(); // with a condition, which a Lock has not
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);
    private readonly LinkedList<Line> _inOrder = new();
    private int _waiting;
    private bool _stopped;

    /// <param name="options">Bounds.</param>
    /// <param name="name">Of the threads.</param>
    public JsonWorkers(LargeJsonOptions options, string name)
    {
        _options = options;
        _mostRunning = Math.Max(1, options.Threads - 1);
        _mostWaiting = options.MaxWaiting / NamespaceFraction;
        for (var i = 0; i < options.Threads; i++)
        {
            new Thread(Work) { IsBackground = true, Name = $"{name} {i}" }.Start();
        }
    }

    /// <summary>Turns that wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
            {
                return _waiting;
            }
        }
    }

    /// <summary>True when so many bytes are too many for an event loop.</summary>
    public bool IsLarge(long bytes) => bytes > _options.InlineBytes;

    /// <summary>Goes on on one of the threads. Within a turn it is part of that one.</summary>
    /// <param name="namespaceUuid">Whose work it is.</param>
    /// <returns>The turn, to be awaited at once and disposed after the work; null when too many wait.</returns>
    public ValueTask<JsonTurn?> EnterAsync(string namespaceUuid)
    {
        if (SynchronizationContext.Current is JsonTurn { IsOver: false } current && current.IsOf(this))
        {
            return new ValueTask<JsonTurn?>(current.Again());
        }

        lock (_gate)
        {
            var line = _lines.GetValueOrDefault(namespaceUuid);
            if (_stopped || _waiting >= _options.MaxWaiting || line?.Entered - line?.Running >= _mostWaiting)
            {
                return new ValueTask<JsonTurn?>((JsonTurn?)null);
            }

            if (line is null)
            {
                line = new Line(namespaceUuid);
                _lines.Add(namespaceUuid, line);
                _inOrder.AddLast(line);
            }

            line.Entered++;
            _waiting++;
            return new ValueTask<JsonTurn?>(new JsonTurn(this, line), 0);
        }
    }

    /// <summary>Ends the threads once nothing waits; who comes later is refused.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
        }
    }

    internal void Enqueue(JsonTurn turn)
    {
        lock (_gate)
        {
            turn.Line.Waiting.Enqueue(turn);
            Monitor.Pulse(_gate);
        }
    }

    private void Work()
    {
        while (Take() is { } turn)
        {
            turn.Run();
            Leave(turn.Line);
        }
    }

    private JsonTurn? Take()
    {
        lock (_gate)
        {
            while (true)
            {
                for (var node = _inOrder.First; node is not null; node = node.Next)
                {
                    var line = node.Value;
                    if (line.Running < _mostRunning && line.Waiting.TryDequeue(out var turn))
                    {
                        line.Running++;
                        _waiting--;
                        _inOrder.Remove(node);
                        _inOrder.AddLast(node);
                        return turn;
                    }
                }

                if (_stopped && _waiting == 0)
                {
                    return null;
                }

                Monitor.Wait(_gate);
            }
        }
    }

    private void Leave(Line line)
    {
        lock (_gate)
        {
            line.Running--;
            line.Entered--;
            if (line.Entered == 0)
            {
                _lines.Remove(line.NamespaceUuid);
                _inOrder.Remove(line);
            }

            Monitor.PulseAll(_gate); // another of this namespace's may run now
        }
    }

    /// <summary>The turns of one namespace.</summary>
    internal sealed class Line(string namespaceUuid)
    {
        public string NamespaceUuid => namespaceUuid;

        public Queue<JsonTurn> Waiting { get; } = new();

        /// <summary>Turns that wait or run.</summary>
        public int Entered { get; set; }

        public int Running { get; set; }
    }
}
