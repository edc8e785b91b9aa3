using System.Diagnostics;

namespace Frusta.Invoker.Serve;

/// <summary>Work that may take long, begun in order by a bounded number of threads of the pool, so that the pool has threads left for everything else.</summary>
/// <param name="atOnce">How many threads.</param>
/// <param name="work">Does one piece of work; must not throw.</param>
internal sealed class WorkQueue<T>(int atOnce, Action<T> work)
{
    private readonly Lock _lock = new();
    private readonly Queue<T> _waiting = new();
    private int _working;

    public void Add(T piece)
    {
        lock (_lock)
        {
            _waiting.Enqueue(piece);
            if (_working == atOnce)
            {
                return;
            }

            _working++;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static queue => queue.Work(), this, preferLocal: false);
    }

    private void Work()
    {
        while (TryTake(out var piece))
        {
            work(piece);
        }
    }

    private bool TryTake(out T piece)
    {
        lock (_lock)
        {
            if (_waiting.TryDequeue(out piece!))
            {
                return true;
            }

            _working--;
            Debug.Assert(_working >= 0 && _working < atOnce);
            return false;
        }
    }
}
